"""What any training needs: E2VBrain, checkpoints, run options, seeds."""
