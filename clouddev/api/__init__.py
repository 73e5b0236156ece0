"""The JSON API of workspaces; its addresses and fields say cloud-dev."""
