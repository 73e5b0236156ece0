"""What can be done with people, tokens and logins. Admin, API and pages all call these."""
