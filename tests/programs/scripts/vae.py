"""A variational auto-encoder; the sampling noise comes from outside so that twins see the same."""

import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class VAE(nn.Module):
    def __init__(self, noise):
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.fc21 = nn.Linear(32, 4)
        self.fc22 = nn.Linear(32, 4)
        self.fc3 = nn.Linear(4, 32)
        self.fc4 = nn.Linear(32, 64)
        self.noise = noise

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.as_tensor(self.noise.standard_normal(std.shape)).to(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def main(images, noise, start):
    device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
    data = torch.from_numpy(images).float() / 255.0
    loader = DataLoader(TensorDataset(data.unsqueeze(1)), batch_size=32, drop_last=True)
    model = VAE(noise)
    start(model)
    model.to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    train_loss = 0
    model.train()
    for data, *_ in loader:
        data = data.to(device)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        losses.append(loss.item() / len(data))
    print(f"====> Average loss: {train_loss / len(loader.dataset):.4f}")
    with torch.no_grad():
        sample = torch.as_tensor(noise.standard_normal((8, 4)), dtype=torch.float32).to(device)
        sample = model.decode(sample).cpu()
    losses.append(float(sample.mean()))
    return losses
