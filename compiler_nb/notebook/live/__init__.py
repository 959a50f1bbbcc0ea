"""The live view of a run: a board that folds events, the widget that sends its frames, and the page's side."""
