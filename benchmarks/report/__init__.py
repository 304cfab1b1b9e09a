"""Numbers -> tables, figures and pages."""
