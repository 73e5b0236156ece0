"""The JSON API of integrations, connections and credentials."""
