"""The project's pages: templates of Markdown, filled with the numbers that the scripts wrote."""
