"""What `minicnn bench` measures: kernels, steps, memory and first use, beside other libraries where installed."""
