"""A word-level LSTM language model: repackaged hidden states, clipped gradients, SGD by hand, tied weights."""

import math

import torch
import torch.nn as nn


class Dictionary:
    def __init__(self):
        self.word2idx = {}
        self.idx2word = []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]

    def __len__(self):
        return len(self.idx2word)


class RNNModel(nn.Module):
    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.0, tie_weights=False):
        super().__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            if nhid != ninp:
                raise ValueError("When using the tied flag, nhid must be equal to emsize")
            self.decoder.weight = self.encoder.weight
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        self.rnn_type = rnn_type
        self.nhid = nhid
        self.nlayers = nlayers

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        output = self.drop(output)
        decoded = self.decoder(output)
        decoded = decoded.view(-1, self.ntoken)
        return nn.functional.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    data = data.narrow(0, 0, nbatch * bsz)
    return data.view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    else:
        return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i, bptt):
    seq_len = min(bptt, len(source) - 1 - i)
    data = source[i : i + seq_len]
    target = source[i + 1 : i + 1 + seq_len].view(-1)
    return data, target


def main(text, start, path):
    words = text.split()
    dictionary = Dictionary()
    ids = torch.tensor([dictionary.add_word(word) for word in words]).type(torch.int64)
    train_data = batchify(ids, 4)
    ntokens = len(dictionary)
    model = RNNModel("LSTM", ntokens, 12, 12, 2, tie_weights=True)
    start(model)
    criterion = nn.NLLLoss()
    lr = 5.0
    losses = []
    hidden = model.init_hidden(4)
    model.train()
    for batch, i in enumerate(range(0, train_data.size(0) - 1, 7)):
        data, targets = get_batch(train_data, i, 7)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        losses += [loss.item(), float(norm)]
        if batch % 10 == 0:
            print(f"| batch {batch:3d} | lr {lr:02.2f} | loss {loss.item():5.2f} | ppl {math.exp(loss.item()):8.2f}")
    with open(path, "wb") as f:
        torch.save(model.state_dict(), f)
    with open(path, "rb") as f:
        model.load_state_dict(torch.load(f))
    model.eval()
    hidden = model.init_hidden(1)
    input = torch.zeros(1, 1, dtype=torch.long)
    picked = []
    with torch.no_grad():
        for _ in range(10):
            output, hidden = model(input, hidden)
            word_weights = output.squeeze().div(0.8).exp().cpu()
            word_idx = torch.topk(word_weights, 2)[1][-1]
            input.fill_(word_idx)
            picked.append(dictionary.idx2word[word_idx])
    return losses, picked
