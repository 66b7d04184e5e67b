"""A language model of characters: nn.Transformer's encoder, weight decay by groups, LambdaLR, accumulated gradients."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class LanguageModel(nn.TransformerEncoder):
    def __init__(self, ntoken, d_model=16, nhead=4, d_hid=32, nlayers=2):
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, d_hid, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        super().__init__(layer, nlayers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False)
        self.embed = nn.Embedding(ntoken, d_model)
        self.positions = nn.Parameter(torch.zeros(1, 32, d_model))
        self.head = nn.Linear(d_model, ntoken, bias=False)

    def forward(self, idx):
        mask = nn.Transformer.generate_square_subsequent_mask(idx.size(1))
        x = self.embed(idx) + self.positions[:, : idx.size(1)]
        return self.head(super().forward(x, mask=mask, is_causal=True))

    @torch.no_grad()
    def generate(self, idx, steps):
        for _ in range(steps):
            logits = self(idx[:, -32:])[:, -1]
            idx = torch.cat((idx, logits.argmax(-1, keepdim=True)), dim=1)
        return idx


def main(text, starts, start):
    chars = sorted(set(text))
    stoi = {c: i for i, c in enumerate(chars)}
    data = torch.tensor([stoi[c] for c in text], dtype=torch.long)
    model = LanguageModel(len(chars))
    start(model)
    groups = {True: [], False: []}
    for _, p in sorted(model.named_parameters()):
        groups[p.ndim >= 2].append(p)
    optimizer = torch.optim.AdamW(
        [{"params": groups[True], "weight_decay": 0.1}, {"params": groups[False], "weight_decay": 0.0}],
        lr=3e-3,
        betas=(0.9, 0.95),
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda it: min((it + 1) / 5, 0.5 * (1 + math.cos(math.pi * it / 20)))
    )
    losses = []
    for step in range(20):
        for micro in range(2):
            ix = starts[step, micro]
            x = torch.stack([data[i : i + 16] for i in ix])
            y = torch.stack([data[i + 1 : i + 1 + 16] for i in ix])
            logits = model(x)
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1), ignore_index=stoi[" "])
            (loss / 2).backward()
            losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
    model.eval()
    out = model.generate(data[None, :8], 8)
    return losses, "".join(chars[i] for i in out[0].tolist())
