"""System checks of cloud dev machines."""
