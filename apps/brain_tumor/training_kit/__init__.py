"""What every training shares: schedule, averaged weights, run folder."""
