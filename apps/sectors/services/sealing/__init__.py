"""The seal pipeline: from a pledge over the steps that the chain makes possible to a proving sector."""
