"""What follows the convolutions of a detector, in numpy: for runtimes that only convolve."""
