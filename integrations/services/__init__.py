"""What can be done with integrations and connections, one module per journey."""
