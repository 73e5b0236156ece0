"""People, their organizations, the tokens their tools hold, and the audit trail."""
