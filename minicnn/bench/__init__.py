"""The measurements of `minicnn bench`: kernels, steps, memory and first use, beside other libraries where installed."""
