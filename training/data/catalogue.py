"""Which documents MIDV-500 and MIDV-2019 have, and at which addresses their archives may lie.

Stands apart because it is the one place that changes when the publishers move. The names are those of the
publishers' server, the same for both data sets.

Sources: Arlazarov et al., MIDV-500, Computer Optics 43(5), 2019; Bulatov et al., MIDV-2019, arXiv:1910.04009.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from unetlite.training.data.transport import SCHEMES
from unetlite.vision.errors import DownloadError

SERVER = "ftp://smartengines.com"
FOLDERS = {"midv500": "midv-500/dataset", "midv2019": "midv-500/extra/midv-2019/dataset"}
DOCUMENTS = (
    "01_alb_id", "02_aut_drvlic_new", "03_aut_id_old", "04_aut_id", "05_aze_passport", "06_bra_passport",
    "07_chl_id", "08_chn_homereturn", "09_chn_id", "10_cze_id", "11_cze_passport", "12_deu_drvlic_new",
    "13_deu_drvlic_old", "14_deu_id_new", "15_deu_id_old", "16_deu_passport_new", "17_deu_passport_old",
    "18_dza_passport", "19_esp_drvlic", "20_esp_id_new", "21_esp_id_old", "22_est_id", "23_fin_drvlic",
    "24_fin_id", "25_grc_passport", "26_hrv_drvlic", "27_hrv_passport", "28_hun_passport", "29_irn_drvlic",
    "30_ita_drvlic", "31_jpn_drvlic", "32_lva_passport", "33_mac_id", "34_mda_passport", "35_nor_drvlic",
    "36_pol_drvlic", "37_prt_id", "38_rou_drvlic", "39_rus_internalpassport", "40_srb_id",
    "41_srb_passport", "42_svk_id", "43_tur_id", "44_ukr_id", "45_ukr_passport", "46_ury_passport",
    "47_usa_bordercrossing", "48_usa_passportcard", "49_usa_ssn82", "50_xpo_id",
)


def document_names(dataset: str, only: Sequence[str]) -> tuple[str, ...]:
    """The documents to fetch, each once, in the order asked for. Raises DownloadError naming near matches."""
    if dataset not in FOLDERS:
        raise DownloadError(f"{dataset}: expected one of {', '.join(FOLDERS)}")
    for name in only:
        if name not in DOCUMENTS:
            inside = [known for known in DOCUMENTS if name and name.lower() in known]
            near = inside[:8] or difflib.get_close_matches(name.lower(), DOCUMENTS, n=4, cutoff=0.5)
            ends = f"the names run from {DOCUMENTS[0]} to {DOCUMENTS[-1]}"
            hint = f"did you mean {', '.join(near)}?" if near else ends
            raise DownloadError(f"{name}: no document of {dataset} has this name; {hint}")
    return tuple(dict.fromkeys(only)) or DOCUMENTS


def archive_folders(dataset: str, mirror: str | None) -> tuple[str, ...]:
    """The addresses under which NAME.zip may lie: the publishers', or `mirror` as a folder of archives and as a copy
    of the publishers' whole server. Raises DownloadError.
    """
    if mirror is None:
        return (f"{SERVER}/{FOLDERS[dataset]}",)
    try:
        parts = urlsplit(mirror)
        usable = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or " " in mirror or not (mirror.isascii() and unquote(mirror).isprintable()):
        got = ascii(mirror.rpartition("@")[2])  # without a password
        raise DownloadError(f"mirror: expected an address as ftp://HOST/FOLDER, http://... or https://..., got {got}")
    return (mirror, parts._replace(path=f"{parts.path.rstrip('/')}/{FOLDERS[dataset]}").geturl())
