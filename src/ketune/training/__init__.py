"""The one training loop, with what only training needs: checkpoints, what it cost, several processes."""
