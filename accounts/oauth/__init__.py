"""The authorization server: signing keys, tokens that others verify, and the flows by which tools get them."""
