"""Numbers only: arrays in, arrays out. Knows neither pandas nor patients."""
