"""A suite, systems and an engine in; a folder of videos and scorecards out, which resumes."""
