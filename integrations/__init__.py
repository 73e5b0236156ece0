"""Connected third-party accounts and their credentials, through Nango."""
