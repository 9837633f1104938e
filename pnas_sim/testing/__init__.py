"""Contract suites that any part must pass, third parties' too; each module holds the suite of one seam."""
