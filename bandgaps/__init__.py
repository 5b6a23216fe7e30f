"""What the five scripts share: tables, features, models, alloys and figures."""
