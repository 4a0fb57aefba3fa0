"""One peer, outliving its connections."""
