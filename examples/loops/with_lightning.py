"""Lightning: the numbers of `memstudy run --reg al2 --epochs 2 --device cpu`, bit for bit."""

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

import memstudy
from memstudy.adapters.lightning import RecordMemorization


class Classifier(pl.LightningModule):
    def __init__(self, images):
        super().__init__()
        self.network, self.penalty = memstudy.network("smallnet", images, seed=0), memstudy.AL2(advance=5)

    def forward(self, images):
        return self.network(images)

    def training_step(self, batch, number):
        features, logits = self(batch[0])
        loss = F.cross_entropy(logits, batch[1]) + self.penalty(features=features, epoch=self.current_epoch)
        return {"loss": loss, "logits": logits.detach(), "labels": batch[1], "features": features.detach()}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.03, momentum=0.5)


def train(images, store, epochs=2):
    labels = memstudy.corrupt(images.train_labels, "symmetric", 0.75, seed=0, images=images)
    model, batches = Classifier(images), memstudy.Batches(len(labels), 64, seed=0)
    told = {"reg": model.penalty, "network": "smallnet", "batch_size": 64}
    callback = RecordMemorization(memstudy.Recorder(labels, images=images), store, **told)
    quiet = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
    trainer = pl.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[callback], **quiet)
    trainer.fit(model, DataLoader(TensorDataset(images.train, labels.noisy), batch_sampler=batches))
    return callback.run


if __name__ == "__main__":
    print(train(memstudy.images("mnist5k"), "runs"))
