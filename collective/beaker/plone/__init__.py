"""What Plone sees of this package: its profiles and its control panel."""
