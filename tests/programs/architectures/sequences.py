"""Models of sequences of integers ``(N, L)``, which give logits ``(N, L, V)`` or ``(N, V)``."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class CharLSTM(nn.Module):
    def __init__(self, vocab_size=13, embed=8, hidden=12, n_layers=2):
        super().__init__()
        self.hidden_size = hidden
        self.n_layers = n_layers
        self.encoder = nn.Embedding(vocab_size, embed)
        self.lstm = nn.LSTM(embed, hidden, n_layers, batch_first=True)
        self.decoder = nn.Linear(hidden, vocab_size)
        initrange = 0.1
        self.encoder.weight.data.uniform_(-initrange, initrange)
        self.decoder.bias.data.zero_()

    def init_hidden(self, batch_size):
        weight = next(self.parameters())
        return (
            weight.new_zeros(self.n_layers, batch_size, self.hidden_size),
            weight.new_zeros(self.n_layers, batch_size, self.hidden_size),
        )

    def forward(self, x):
        hidden = self.init_hidden(x.size(0))
        out, hidden = self.lstm(self.encoder(x), hidden)
        out = out.contiguous().view(-1, self.hidden_size)
        return self.decoder(out).view(x.size(0), x.size(1), -1)


class BiGRUClassifier(nn.Module):
    def __init__(self, vocab_size=13, num_classes=13):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 6, padding_idx=0)
        self.rnn = nn.GRU(6, 7, num_layers=2, bidirectional=True)
        self.fc = nn.Linear(14, num_classes)

    def forward(self, text):
        lengths = (text != 0).sum(1).clamp(min=1)
        lengths, order = lengths.sort(descending=True)
        embedded = self.embedding(text[order]).transpose(0, 1)
        packed = nn.utils.rnn.pack_padded_sequence(embedded, lengths.tolist())
        _, hidden = self.rnn(packed)
        hidden = torch.cat((hidden[-2, :, :], hidden[-1, :, :]), dim=1)
        return self.fc(hidden[torch.argsort(order)])


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=64):
        super().__init__()
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        pe = pe.unsqueeze(0)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


class CausalSelfAttention(nn.Module):
    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)
        self.c_proj = nn.Linear(n_embd, n_embd)
        self.n_head = n_head
        self.n_embd = n_embd
        self.register_buffer("bias", torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size))

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
        att = F.softmax(att, dim=-1)
        y = att @ v
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        return self.c_proj(y)


class Block(nn.Module):
    def __init__(self, n_embd, n_head, block_size):
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd)
        self.attn = CausalSelfAttention(n_embd, n_head, block_size)
        self.ln_2 = nn.LayerNorm(n_embd)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(n_embd, 4 * n_embd), "c_proj": nn.Linear(4 * n_embd, n_embd), "act": nn.GELU()}
        )

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        m = self.mlp
        x = x + m.c_proj(m.act(m.c_fc(self.ln_2(x))))
        return x


class GPT(nn.Module):
    def __init__(self, vocab_size=13, block_size=16, n_layer=2, n_head=2, n_embd=8):
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocab_size, n_embd),
                "wpe": nn.Embedding(block_size, n_embd),
                "h": nn.ModuleList([Block(n_embd, n_head, block_size) for _ in range(n_layer)]),
                "ln_f": nn.LayerNorm(n_embd),
            }
        )
        self.lm_head = nn.Linear(n_embd, vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight  # weight tying
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.2)

    def forward(self, idx):
        device = idx.device
        _b, t = idx.size()
        pos = torch.arange(0, t, dtype=torch.long, device=device).unsqueeze(0)
        x = self.transformer.wte(idx) + self.transformer.wpe(pos)
        for block in self.transformer.h:
            x = block(x)
        return self.lm_head(self.transformer.ln_f(x))


class TransformerModel(nn.Module):
    def __init__(self, ntoken=13, d_model=8, nhead=2, d_hid=16, nlayers=2):
        super().__init__()
        self.pos_encoder = PositionalEncoding(d_model)
        encoder_layers = nn.TransformerEncoderLayer(d_model, nhead, d_hid, 0.0, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(encoder_layers, nlayers, enable_nested_tensor=False)
        self.embedding = nn.Embedding(ntoken, d_model)
        self.d_model = d_model
        self.linear = nn.Linear(d_model, ntoken)

    def forward(self, src):
        mask = torch.triu(torch.full((src.size(1), src.size(1)), float("-inf"), dtype=self.linear.weight.dtype), 1)
        src = self.embedding(src) * math.sqrt(self.d_model)
        src = self.pos_encoder(src)
        output = self.transformer_encoder(src, mask)
        return self.linear(output)


class Seq2Seq(nn.Module):
    """The whole nn.Transformer: the source is the sequence, the target the same one a step later."""

    def __init__(self, ntoken=13, d_model=8):
        super().__init__()
        self.embed = nn.Embedding(ntoken, d_model)
        self.transformer = nn.Transformer(
            d_model,
            nhead=2,
            num_encoder_layers=1,
            num_decoder_layers=1,
            dim_feedforward=16,
            dropout=0.0,
            batch_first=True,
        )
        self.out = nn.Linear(d_model, ntoken)

    def forward(self, src):
        tgt = torch.roll(src, 1, dims=1)
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.size(1)).to(self.out.weight.dtype)
        return self.out(self.transformer(self.embed(src), self.embed(tgt), tgt_mask=mask))


class AttentionGRUCell(nn.Module):
    """A decoder that is unrolled by hand."""

    def __init__(self, vocab=13, hidden=8):
        super().__init__()
        self.embed = nn.Embedding(vocab, hidden)
        self.cell = nn.GRUCell(2 * hidden, hidden)
        self.attn = nn.Linear(2 * hidden, 1)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, x):
        memory = self.embed(x)
        h = torch.zeros_like(memory[:, 0])
        outputs = []
        for t in range(x.shape[1]):
            query = h.unsqueeze(1).expand(-1, memory.size(1), -1)
            scores = self.attn(torch.cat([memory, query], dim=-1)).squeeze(-1)
            weights = F.softmax(scores, dim=1)
            context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
            h = self.cell(torch.cat([memory[:, t], context], dim=1), h)
            outputs.append(self.out(h))
        return torch.stack(outputs, dim=1)
