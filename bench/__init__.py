"""How fast, and how near to the best possible: measured in one run, kept with its n."""
