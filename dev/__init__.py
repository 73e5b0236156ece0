"""What development and the tests need around the server; never part of the image."""
