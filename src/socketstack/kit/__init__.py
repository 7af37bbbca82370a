"""Building, deploying and starting a system: the commands of the kit."""
