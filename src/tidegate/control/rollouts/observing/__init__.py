"""What a rollout's calls tell: windows judged once and kept, and the evidence in all of them."""
