"""Transfer learning: a trunk from a checkpoint, frozen but for its last stage, a new head, warm-up and plateau."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim import lr_scheduler


class Trunk(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.stage = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        x = self.avgpool(self.stage(self.stem(x)))
        return self.fc(torch.flatten(x, 1))


def set_bn_eval(module):
    if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
        module.eval()


class EMA:
    """A moving average of the weights."""

    def __init__(self, model, decay):
        self.module = copy.deepcopy(model).eval()
        self.decay = decay
        for p in self.module.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for ema, p in zip(self.module.state_dict().values(), model.state_dict().values(), strict=True):
            if ema.dtype.is_floating_point:
                ema.mul_(self.decay).add_(p.detach(), alpha=1 - self.decay)
            else:
                ema.copy_(p)


def main(images, labels, start, path):
    pretrained = Trunk(num_classes=7)
    start(pretrained)
    torch.save({"model": pretrained.state_dict(), "epoch": 3}, path)

    model = Trunk(num_classes=10)
    checkpoint = torch.load(path, map_location="cpu")
    state = {k: v for k, v in checkpoint["model"].items() if not k.startswith("fc.")}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert sorted(missing) == ["fc.bias", "fc.weight"]
    assert not unexpected
    for param in model.stem.parameters():
        param.requires_grad = False
    num_ftrs = model.fc.in_features
    model.fc = nn.Sequential(nn.LayerNorm(num_ftrs), nn.Linear(num_ftrs, 10))
    start(model.fc)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"{trainable:,} of {sum(p.numel() for p in model.parameters()):,} parameters are trained")

    features = []
    handle = model.avgpool.register_forward_hook(lambda module, args, output: features.append(output.detach()))
    optimizer = torch.optim.SGD(
        [
            {"params": model.stage.parameters(), "lr": 0.01},
            {"params": model.fc.parameters()},
        ],
        lr=0.1,
        momentum=0.9,
        weight_decay=1e-4,
    )
    warmup = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=5)
    cosine = lr_scheduler.CosineAnnealingLR(optimizer, T_max=15)
    scheduler = lr_scheduler.SequentialLR(optimizer, schedulers=[warmup, cosine], milestones=[5])
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=3)
    ema = EMA(model, 0.9)
    x_all = torch.from_numpy(images).float().unsqueeze(1) / 16
    y_all = torch.from_numpy(labels)
    losses = []
    for step in range(20):
        model.train()
        model.stem.apply(set_bn_eval)
        index = torch.arange(step * 32, (step + 1) * 32)
        x, y = x_all[index], y_all[index]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
        loss.backward()
        assert model.stem[0].weight.grad is None
        total_norm = nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], max_norm=2.0)
        optimizer.step()
        scheduler.step()
        ema.update(model)
        losses += [loss.item(), total_norm.item(), optimizer.param_groups[1]["lr"]]
    handle.remove()
    plateau.step(losses[-3])
    with torch.inference_mode():
        model.eval()
        scores = ema.module(x_all[640:]).softmax(-1)
        top = scores.topk(3, dim=1)
        hits = (top.indices == y_all[640:, None]).any(1).float().mean()
        per_class = torch.zeros(10).index_add_(0, y_all[640:], torch.ones(len(y_all) - 640))
    losses += [hits.item(), top.values.sum().item(), torch.cat(features).mean().item(), *per_class.tolist()]
    return losses
