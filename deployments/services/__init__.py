"""What can be done with apps and builds. Admin, API and pages all call these."""
