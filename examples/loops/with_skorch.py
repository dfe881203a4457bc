"""skorch: the numbers of `memstudy run --reg al2 --epochs 2 --device cpu`, bit for bit."""

import torch
import torch.nn.functional as F
from skorch import NeuralNet

import memstudy
from memstudy.adapters.skorch import RecordMemorization


class Net(NeuralNet):
    penalty = memstudy.AL2(advance=5)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        features, logits = y_pred
        epoch = len(self.history) - 1
        return F.cross_entropy(logits, y_true) + self.penalty(features=features, epoch=epoch)


def train(images, store, epochs=2):
    labels = memstudy.corrupt(images.train_labels, "symmetric", 0.75, seed=0, images=images)
    told = {"reg": Net.penalty, "network": "smallnet", "batch_size": 64}
    callback = RecordMemorization(memstudy.Recorder(labels, images=images), store, **told)
    net = Net(
        memstudy.network("smallnet", images, seed=0), torch.nn.CrossEntropyLoss, max_epochs=epochs, lr=0.03,
        optimizer=torch.optim.SGD, optimizer__momentum=0.5, train_split=None, verbose=0, callbacks=[callback],
        iterator_train__batch_sampler=memstudy.Batches(len(labels), 64, seed=0), iterator_train__batch_size=1,
    )  # fmt: skip
    net.fit(images.train, labels.noisy)
    return callback.run


if __name__ == "__main__":
    print(train(memstudy.images("mnist5k"), "runs"))
