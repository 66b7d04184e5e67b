"""A Siamese net: one trunk on two images, pairs made in the data set, a custom collate_fn, contrastive loss."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    def __init__(self, images, labels, rng):
        super().__init__()
        self.data = torch.tensor(images).float().div_(16)
        self.targets = torch.tensor(labels)
        self.rng = rng
        self.group_examples = {c: (self.targets == c).nonzero(as_tuple=True)[0].numpy() for c in range(10)}

    def __len__(self):
        return self.data.shape[0]

    def __getitem__(self, index):
        a = self.data[index].unsqueeze(0)
        same = index % 2 == 0
        label = self.targets[index].item()
        group = label if same else (label + 1 + int(self.rng.integers(9))) % 10
        other = int(self.rng.choice(self.group_examples[group]))
        return a, self.data[other][None], torch.tensor(float(same))


def collate(samples):
    first, second, same = zip(*samples, strict=True)
    return torch.stack(first), torch.stack(second), torch.stack(same)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding="same", padding_mode="reflect"),
            nn.InstanceNorm2d(8, affine=True),
            nn.PReLU(8),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.GroupNorm(4, 16),
            nn.ELU(),
            nn.Flatten(),
            nn.Linear(256, 8),
        )
        self.fc = nn.Sequential(nn.Linear(16, 8), nn.Softplus(), nn.Linear(8, 1))

    def forward_once(self, x):
        return self.trunk(x)

    def forward(self, input1, input2):
        output1 = self.forward_once(input1)
        output2 = self.forward_once(input2)
        return output1, output2, self.fc(torch.cat((output1, output2), 1)).squeeze(-1)


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=2.0):
        super().__init__()
        self.margin = margin

    def forward(self, output1, output2, same):
        distance = F.pairwise_distance(output1, output2, keepdim=False)
        return torch.mean(
            same * torch.pow(distance, 2) + (1 - same) * torch.pow(torch.clamp(self.margin - distance, min=0.0), 2)
        )


def main(images, labels, rng, start):
    loader = DataLoader(Pairs(images, labels, rng), batch_size=32, collate_fn=collate)
    model = SiameseNetwork()
    start(model)
    contrastive, bce = ContrastiveLoss(), nn.BCEWithLogitsLoss()
    decay = [p for n, p in model.named_parameters() if p.dim() > 1]
    others = [p for n, p in model.named_parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], lr=2e-3
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=25)
    losses = []
    for step, (a, b, same) in enumerate(loader):
        output1, output2, logit = model(a, b)
        loss = contrastive(output1, output2, same) + bce(logit, same)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), clip_value=1.0)
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            accuracy = ((logit > 0).float() == same).float().mean()
        losses += [loss.item(), accuracy.item(), scheduler.get_last_lr()[0], optimizer.param_groups[0]["lr"]]
        if step == 21:
            break
    return losses
