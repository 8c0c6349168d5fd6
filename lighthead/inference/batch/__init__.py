"""Jobs over millions of images: shard by shard, in one process, in an array of them, or on Ray."""
