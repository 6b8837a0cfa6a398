"""What a run tells people and programs: progress, logs, outcomes, summary and the report page."""
