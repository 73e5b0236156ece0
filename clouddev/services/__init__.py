"""What can be done with machines and their members. Admin, API and pages all call these."""
