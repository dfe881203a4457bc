"""Hugging Face's Trainer: the numbers of `memstudy run --reg al2 --epochs 2 --device cpu`, bit for bit."""

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

import memstudy
from memstudy.adapters.huggingface import RecordMemorization

PENALTY = memstudy.AL2(advance=5)


class Loop(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        features, logits = model(inputs["images"])
        loss = F.cross_entropy(logits, inputs["labels"])
        self.recorder.step(loss, features=features)
        return loss + PENALTY(features=features, epoch=self.recorder.epochs)

    def get_train_dataloader(self):
        batches = memstudy.Batches(len(self.train_dataset), 64, seed=0)
        return DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)


def train(images, store, epochs=2):
    labels = memstudy.corrupt(images.train_labels, "symmetric", 0.75, seed=0, images=images)
    network, Loop.recorder = memstudy.network("smallnet", images, seed=0), memstudy.Recorder(labels, images=images)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.5)
    callback = RecordMemorization(Loop.recorder, store, reg=PENALTY, network="smallnet", batch_size=64)
    samples = [{"images": image, "labels": label} for image, label in zip(images.train, labels.noisy, strict=True)]
    quiet = {"save_strategy": "no", "logging_strategy": "no", "report_to": [], "remove_unused_columns": False}
    how = {"use_cpu": True, "max_grad_norm": 0, "lr_scheduler_type": "constant"}  # no clipping, no schedule
    given = TrainingArguments(num_train_epochs=epochs, **how, **quiet)
    Loop(network, given, train_dataset=samples, callbacks=[callback], optimizers=(optimizer, None)).train()
    return callback.run


if __name__ == "__main__":
    print(train(memstudy.images("mnist5k"), "runs"))
