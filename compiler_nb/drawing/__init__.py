"""Pictures of plans: layout, SVG, DOT, PNG and text, all made from data alone."""
