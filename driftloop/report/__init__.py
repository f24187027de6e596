"""Everything a person reads of a watch: its words, the terminal, the HTML report, the descriptions in MLflow. Nothing is computed here."""
