"""A loop of one's own: the numbers of `memstudy run --reg al2 --epochs 2 --device cpu`, bit for bit."""

import torch
import torch.nn.functional as F

import memstudy


def train(images: memstudy.Images, store: str, epochs: int = 2) -> memstudy.Run:
    labels = memstudy.corrupt(images.train_labels, "symmetric", 0.75, seed=0, images=images)
    network, penalty = memstudy.network("smallnet", images, seed=0), memstudy.AL2(advance=5)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.03, momentum=0.5)
    recorder, batches = memstudy.Recorder(labels, images=images), memstudy.Batches(len(labels), 64, seed=0)
    for epoch in range(epochs):
        network.train()
        for batch in batches:
            features, logits = network(images.train[batch])
            loss = F.cross_entropy(logits, labels.noisy[batch])
            optimizer.zero_grad()
            (loss + penalty(features=features, epoch=epoch)).backward()
            optimizer.step()
            recorder.step(loss, features=features)
        recorder.evaluate(network)
        recorder.end_epoch()
    return recorder.write(store, reg=penalty, network="smallnet", batch_size=64, optimizer=optimizer)


if __name__ == "__main__":
    print(train(memstudy.images("mnist5k"), "runs"))
