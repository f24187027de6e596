"""The learner for any table: its model, which travels in the .mar, its data module, and the defaults of the scripts' flags."""
