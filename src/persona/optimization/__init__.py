"""Photo, Observation and BodyFit -> Avatar."""
