"""The local model: llama.cpp in this process, from xllamacpp's prebuilt wheels."""
