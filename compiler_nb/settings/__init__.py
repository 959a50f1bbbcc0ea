"""What a run is made with, what it is to do, and what may be done to it from outside."""
