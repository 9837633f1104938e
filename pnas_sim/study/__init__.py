"""What is measured of searches and predictors: efficiency, quality, and how sure one can be of it."""
