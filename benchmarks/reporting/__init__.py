"""A run in; tables, statistics, pages, videos side by side and people's votes out."""
