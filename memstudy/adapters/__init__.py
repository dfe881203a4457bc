"""Callbacks of other people's training loops that drive a `memstudy.Recorder`; each is an extra.

    memstudy.adapters.lightning:RecordMemorization     a Callback of Lightning's Trainer
    memstudy.adapters.skorch:RecordMemorization        a Callback of skorch's NeuralNet
    memstudy.adapters.huggingface:RecordMemorization   a TrainerCallback of Hugging Face's Trainer

Each evaluates the network on all images after every epoch (the recorder needs `images`), and at the end writes a
run directory, if it was given a store.
"""
