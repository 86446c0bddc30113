"""Case files in: load, validate, and expand by dtype into the questions that frameworks are asked."""
